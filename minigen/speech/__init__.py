"""Speech: the application made of the book, from text to sound."""
