"""Training; nothing on the codec path imports it."""
