"""All that touches the operating system: processes, private folders, file identities, memos."""
