-- The log's clock at the checkpoint: hours of receipt that ended before the least of them are counted in full.
ALTER TABLE checkpoints ADD COLUMN clock timestamptz;
