-- What the signalling of a call said: headers, identity, causes.
ALTER TABLE calls ADD COLUMN signalling TEXT;
