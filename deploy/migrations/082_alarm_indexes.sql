-- What the alarms' clock looks at every two seconds, without reading alarms that are long over.
CREATE INDEX alarms_suppressed ON alarms (key) WHERE suppressed;
CREATE INDEX alarms_updated ON alarms (updated_ms);
