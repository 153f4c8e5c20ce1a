"""Calendar events, their attendees, articles, and newsletter subscribers."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import LocalTime, Record, Time


class CalendarEvent(Record):
    """An event that people can attend."""

    PATH: ClassVar[str] = "content/calendarevents"

    BusinessId: int | None = None
    Name: str | None = None
    HostFullName: str | None = None
    ShortDescription: str | None = None
    LongDescription: str | None = None
    TicketNotes: str | None = None
    EnableWaitList: bool | None = None
    AskBuyerAddress: bool | None = None
    ShowEventAttendees: bool | None = None
    Location: str | None = None
    VenueAddress: str | None = None
    ResourceId: int | None = None
    StartDate: Time = None
    EndDate: Time = None
    Allocation: int | None = None
    EventCategories: list[Any] | str | None = None
    PublishDate: Time = None
    ShowInHomeBanner: bool | None = None
    ShowInHomePage: bool | None = None
    AllowComments: bool | None = None
    IncludeZoomInvite: bool | None = None
    CreateZoomWebinarInvite: bool | None = None
    ZoomWebinarAlternativeHosts: str | None = None
    ZoomEventData: Any = None
    ZoomMeetingId: str | None = None
    OnlyForContacts: bool | None = None
    OnlyForMembers: bool | None = None
    SmallLogoFileName: str | None = None
    LargeLogoFileName: str | None = None
    WebAddress: str | None = None
    FacebookPage: str | None = None
    TicketsPage: str | None = None
    RepeatSeriesUniqueId: str | None = None
    RepeatEvent: bool | None = None
    Repeats: int | None = None
    WhichEventsToUpdate: int | None = None
    RepeatEvery: int | None = None
    RepeatUntil: Time = None
    StartDateLocal: LocalTime = None
    EndDateLocal: LocalTime = None
    AfterEventNotificationJobId: str | None = None
    SendAfterEventNotification: bool | None = None
    SendBeforeEventNotification: bool | None = None
    HasEventForm: bool | None = None
    SendEventFormByEmail: bool | None = None
    FormPageId: int | None = None
    FormPageName: str | None = None


class EventAttendee(Record):
    """Somebody who attends an event."""

    PATH: ClassVar[str] = "content/eventattendees"

    BusinessId: int | None = None
    CalendarEventId: int | None = None
    CalendarEventName: str | None = None
    EventProductId: int | None = None
    EventProductName: str | None = None
    EventProductPrice: Decimal | None = None
    EventProductCurrencyCode: str | None = None
    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    FullName: str | None = None
    Email: str | None = None
    PurchaseOrder: str | None = None
    AttendeeCode: str | None = None
    CheckedIn: bool | None = None
    CheckedInDate: Time = None
    Invoiced: bool | None = None
    DueDate: Time = None
    Billed: bool | None = None
    CreatedOnLocal: LocalTime = None
    CheckedInDateLocal: LocalTime = None
    CoworkerInvoiceId: int | None = None
    CoworkerInvoiceNumber: str | None = None
    CoworkerInvoicePaid: bool | None = None
    Reminded: bool | None = None
    ZoomEventData: Any = None
    ZoomParticipantId: str | None = None
    IsSent: bool | None = None


class BlogPost(Record):
    """An article."""

    PATH: ClassVar[str] = "content/blogposts"

    BusinessId: int | None = None
    LanguageId: int | None = None
    PostedById: int | None = None
    PostedByFullName: str | None = None
    Title: str | None = None
    SummaryText: str | None = None
    FullText: str | None = None
    ImageFileName: str | None = None
    PublishDate: Time = None
    ShowInHomeBanner: bool | None = None
    ShowInHomePage: bool | None = None
    UnpublishDate: Time = None
    AllowComments: bool | None = None
    BlogCategories: list[Any] | str | None = None
    CommentsCount: int | None = None
    OnlyForContacts: bool | None = None
    OnlyForMembers: bool | None = None


class NewsLetterSubscriber(Record):
    """Somebody who gets the newsletter."""

    PATH: ClassVar[str] = "content/newslettersubscribers"

    BusinessId: int | None = None
    Name: str | None = None
    CompanyName: str | None = None
    Language: str | None = None
    Email: str | None = None
    VisitReason: str | None = None
    Active: bool | None = None
    Viewed: int | None = None
    Clicked: int | None = None
    Groups: list[Any] | str | None = None
