"""What the model believes: pictures that are drawn from its probability tables, in part or altogether."""
