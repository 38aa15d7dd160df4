"""The class ``nbsocket.socket``, and what each call on a socket means over the modem."""
