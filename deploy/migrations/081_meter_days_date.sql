-- The boards add up a day over a district. Days are written roughly in order of their date, so a BRIN index finds them and costs the
-- writers next to nothing.
CREATE INDEX meter_days_date ON meter_days USING brin (date) WITH (pages_per_range = 32);
-- Alarms and tickets by the findings they are about.
CREATE INDEX finding_history_updated ON finding_history (updated_at);
