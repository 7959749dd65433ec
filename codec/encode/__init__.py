"""Pictures to latents: transforms, the search for what they cost least by, a wanted size or quality."""
