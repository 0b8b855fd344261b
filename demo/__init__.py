"""A page to try the networks: speak, adapt them to a voice, hear where they are wrong."""
