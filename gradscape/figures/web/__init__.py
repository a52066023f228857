"""Everything for the browser: all html and JavaScript, and the numbers that pages draw themselves."""
