"""What waits for the next chunk: operators' commands in the order in which they came, and what driving sources see."""

from realtime.control.commands import Command, of_operators
from realtime.control.merge import MAX_COMMANDS
from realtime.drive.inbox import DriveInput
from realtime.errors import TooMany


class Waiting:
    """Bound: a chunk's worth of commands, twice while those of a chunk that was not drawn have come back; more are refused."""

    def __init__(self) -> None:
        self.driven = DriveInput()
        self._commands: list[Command] = []

    def put(self, command: Command) -> None:
        """Raises TooMany."""
        if len(self._commands) >= MAX_COMMANDS:
            raise TooMany(f"more than {MAX_COMMANDS} commands within 40 ms: send fewer")
        self._commands.append(command)

    def take(self) -> tuple[Command, ...]:
        """What takes effect with the next chunk to be drawn."""
        commands, self._commands = tuple(self._commands[:MAX_COMMANDS]), self._commands[MAX_COMMANDS:]
        return commands + self.driven.take()

    def give_back(self, commands: tuple[Command, ...]) -> None:
        """Commands of a chunk that was never made, or not drawn, take effect with the next; what sources saw then is old."""
        self._commands = [*of_operators(commands), *self._commands]
