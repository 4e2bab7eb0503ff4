"""Messages for many: channels of one process, of one host's workers, or of many machines."""

from fasterapi.broadcast.broadcaster import Broadcaster
from fasterapi.broadcast.errors import BroadcastUnavailable, ChannelForbidden, SubscriberTooSlow
from fasterapi.broadcast.message import Lost
from fasterapi.broadcast.subscription import Subscription

__all__ = [
    "BroadcastUnavailable",
    "Broadcaster",
    "ChannelForbidden",
    "Lost",
    "SubscriberTooSlow",
    "Subscription",
]
