//! Writes forged answers.
