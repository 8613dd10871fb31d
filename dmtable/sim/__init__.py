"""The proving ground: simulated time, failing disks and links, the explorer of crash states, and the order checker."""
