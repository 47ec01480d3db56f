"""What operators do to a store: take all of it elsewhere, erase somebody from it, pardon."""
