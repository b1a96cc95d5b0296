-- Releasing what was refused: the api asks, ingest (the only writer of the log) sends the entry again and says what came of it.
ALTER TABLE quarantine
  -- Asked for at this time; null again when the entry was refused once more.
  ADD COLUMN release_at timestamptz,
  ADD COLUMN release_by text,
  -- A person vouches that the gateway may report for the device.
  ADD COLUMN release_vouched boolean NOT NULL DEFAULT false,
  -- Mended text to send instead of the payload.
  ADD COLUMN release_payload text,
  -- Why it was refused again.
  ADD COLUMN release_note text;
CREATE INDEX quarantine_release ON quarantine (received_at, id) WHERE state = 'open' AND release_at IS NOT NULL;
CREATE INDEX quarantine_unknown ON quarantine (device, received_at) WHERE state = 'open' AND reason = 'unknown_device';

-- Devices that were claimed: their open entries are released, also those that are still on their way into quarantine.
CREATE TABLE device_claims (
  device text PRIMARY KEY,
  claimed_by text NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now()
);
