"""What the files hold, lack or have too many of, by their architecture and by their own neighbours; rules make findings of it."""
