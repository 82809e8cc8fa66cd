"""Pure, versioned rules that turn raw text into keys, numbers, dates and codes."""
