"""`make bench-gpu`: IndexTTS2 on this machine's GPU, by the server's own engine."""
