"""Pictures to latents: the transform, the search for better ones, the bound on blocks' errors, wanted sizes."""
