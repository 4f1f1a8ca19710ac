"""What keeps an application safe, each part in a room of its own: `secrets` judges secret keys."""
