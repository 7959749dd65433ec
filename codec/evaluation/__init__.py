"""What measures the codec; nothing on the codec path imports it."""
