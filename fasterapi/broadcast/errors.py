"""What goes wrong in broadcasting, as exceptions."""


class BroadcastUnavailable(ConnectionError):
    """Redis or the host's relay cannot be reached. What was being published may have been lost."""


class ChannelForbidden(PermissionError):
    """Redis does not let this user have the channel (its ACL). To try again would not help."""


class SubscriberTooSlow(RuntimeError):
    """More waits for a subscriber than its limits allow, and its policy is ``disconnect``."""
