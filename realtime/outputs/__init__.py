"""The avatar on its way elsewhere: by HTTP to media players and OBS, and into a virtual camera."""
