"""What goes wrong in broadcasting, as exceptions."""


class BroadcastUnavailable(ConnectionError):
    """Redis or the host's relay cannot be reached. What was being published may have been lost."""


class SubscriberTooSlow(RuntimeError):
    """More waits for a subscriber than its limits allow, and its policy is ``disconnect``."""
