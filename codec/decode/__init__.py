"""Files to pictures, whole or in part, intact or damaged."""
