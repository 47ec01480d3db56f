"""The demo: people, programs and harvesters before the guard, over real HTTP, in event time."""
