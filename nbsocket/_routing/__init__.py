"""Which way a destination goes: addresses, names, the bypass, and what goes past the modem."""
