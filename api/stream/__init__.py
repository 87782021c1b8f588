"""Our own event streams over websockets. README.md is the contract; rows are the truth, announcements only wake."""
