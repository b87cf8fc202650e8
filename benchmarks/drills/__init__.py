"""Drills: the promises of the service, tried from outside, over a real socket and with real ends."""
