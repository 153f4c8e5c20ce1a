"""Messages that people write: help desk, community boards, chat, mail."""

from typing import Any, ClassVar

from receiver.nexudus.records.record import Record, Time


class HelpDeskMessage(Record):
    """A message to the help desk."""

    PATH: ClassVar[str] = "support/helpdeskmessages"

    BusinessId: int | None = None
    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    HelpDeskDepartmentId: int | None = None
    HelpDeskDepartmentName: str | None = None
    Subject: str | None = None
    MessageText: str | None = None
    Priority: int | str | None = None
    AiProcessingResult: int | str | None = None
    Closed: bool | None = None
    ClosedOn: Time = None
    OwnerId: int | None = None
    OwnerFullName: str | None = None
    ImageFileName: str | None = None
    FirstResponseTimeInMinutes: int | float | None = None
    MinutesToClose: int | float | None = None
    SupportIssueCategory: Any = None
    AiChannelSessionId: str | None = None


class HelpDeskComment(Record):
    """A comment on a message to the help desk; it does not name its location."""

    PATH: ClassVar[str] = "support/helpdeskcomments"

    HelpDeskMessageId: int | None = None
    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    MessageText: str | None = None
    Internal: bool | None = None
    ImageFileName: str | None = None


class CommunityGroup(Record):
    """A group of the community board."""

    PATH: ClassVar[str] = "community/communitygroups"

    BusinessId: int | None = None
    UserId: int | None = None
    Name: str | None = None
    Description: str | None = None
    GroupAccess: int | str | None = None
    Members: list[Any] | str | None = None
    TeamGuid: str | None = None
    CourseGuid: str | None = None


class CommunityThread(Record):
    """A thread of the community board."""

    PATH: ClassVar[str] = "community/communitythreads"

    BusinessId: int | None = None
    CommunityGroupId: int | None = None
    UserId: int | None = None
    CoworkerId: int | None = None
    Subject: str | None = None
    Message: str | None = None
    InstantDelivery: bool | None = None
    Tags: str | None = None
    Private: bool | None = None
    Guests: list[Any] | str | None = None
    LastMessageDate: Time = None
    IncludeZoomInvite: bool | None = None
    ZoomEventData: Any = None


class CommunityMessage(Record):
    """A reply in a thread; it does not name its location."""

    PATH: ClassVar[str] = "community/communitymessages"

    CommunityThreadId: int | None = None
    UserId: int | None = None
    CoworkerId: int | None = None
    Message: str | None = None


class CoworkerMessage(Record):
    """A message between a location and a customer; it does not name its location."""

    PATH: ClassVar[str] = "spaces/coworkermessages"

    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    CoworkerEmail: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    EmailAccountId: int | None = None
    EmailAccountDisplayName: str | None = None
    EmailAccountEmailAddress: str | None = None
    Subject: str | None = None
    Body: str | None = None
    IsNewMessage: bool | None = None
    Incoming: bool | None = None
    MessageId: str | None = None
    ReminderUniqueId: str | None = None


class ChatUserMessage(Record):
    """A message of the chat; it does not name its location. The types of its fields are not documented."""

    FromUserId: Any = None
    ToUsers: Any = None
    ChatText: Any = None
    Delievered: Any = None
