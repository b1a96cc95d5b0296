-- Open tickets in the order of their numbers: what the sweep reads again and again, among a million that are closed.
CREATE INDEX tickets_open ON tickets (no)
  WHERE state IN ('received', 'reviewed', 'dispatched', 'in_progress', 'verify', 'resolved', 'confirmed');
