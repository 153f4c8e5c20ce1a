"""Bookings and check-ins."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import LocalTime, Record, Time


class Booking(Record):
    """A booking of a resource; its location is that of the resource (`ResourceId`), which the record does not name."""

    PATH: ClassVar[str] = "spaces/bookings"

    ResourceId: int | None = None
    ResourceName: str | None = None
    ResourceHideInCalendar: bool | None = None
    ResourceResourceTypeId: int | None = None
    ResourceResourceTypeName: str | None = None
    FloorPlanDeskId: int | None = None
    FloorPlanDeskName: str | None = None
    CoworkerId: int | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerFullName: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    CoworkerTeamNames: str | None = None
    ExtraServiceId: int | None = None
    ExtraServiceName: str | None = None
    FromTime: Time = None
    ToTime: Time = None
    Notes: str | None = None
    InternalNotes: str | None = None
    ChargeNow: bool | None = None
    InvoiceNow: bool | None = None
    DoNotUseBookingCredit: bool | None = None
    PurchaseOrder: str | None = None
    DiscountCode: str | None = None
    Tentative: bool | None = None
    Online: bool | None = None
    TeamsAtTheTimeOfBooking: str | None = None
    TariffAtTheTimeOfBooking: str | None = None
    RepeatSeriesUniqueId: str | None = None
    RepeatBooking: bool | None = None
    Repeats: int | None = None
    WhichBookingsToUpdate: int | None = None
    RepeatEvery: int | None = None
    RepeatUntil: Time = None
    RepeatOnMondays: bool | None = None
    RepeatOnTuesdays: bool | None = None
    RepeatOnWednesdays: bool | None = None
    RepeatOnThursdays: bool | None = None
    RepeatOnFridays: bool | None = None
    RepeatOnSaturdays: bool | None = None
    RepeatOnSundays: bool | None = None
    OverridePrice: Decimal | None = None
    Invoiced: bool | None = None
    InvoiceDate: Time = None
    CoworkerInvoiceId: int | None = None
    CoworkerInvoiceNumber: str | None = None
    CoworkerInvoicePaid: bool | None = None
    CoworkerExtraServiceIds: str | None = None
    CoworkerExtraServicePrice: Decimal | None = None
    CoworkerExtraServiceCurrencyCode: str | None = None
    CoworkerExtraServiceChargePeriod: Any = None
    CoworkerExtraServiceTotalUses: Any = None
    IncludeZoomInvite: bool | None = None
    CheckedInAt: Time = None
    CancelIfNotPaid: bool | None = None
    CancelIfNotCheckedIn: bool | None = None
    MinutesToStart: int | None = None
    OverrideResourceLimits: bool | None = None
    DisableConfirmation: bool | None = None
    SkipGoogleCalendarUpdate: bool | None = None
    EstimatedCost: Decimal | None = None
    EstimatedCostWithProducts: Decimal | None = None
    EstimagedCost: Decimal | None = None
    EstimatedProductCost: Decimal | None = None
    ChargedExtraServices: Any = None
    BookingProducts: Any = None
    BookingVisitors: Any = None
    EstimatedExtraService: Any = None
    Invoice: Any = None
    AvailableCredit: Decimal | None = None
    IsEvent: bool | None = None
    IsTour: bool | None = None
    DiscountAmount: Decimal | None = None
    BookingNumber: int | str | None = None
    LastNotificationTime: Time = None
    ResourceAllocation: int | None = None
    CoworkerMobilePhone: str | None = None
    CoworkerLandLine: str | None = None
    InvoiceThisCoworker: bool | None = None
    GoogleCalendarId: str | None = None
    GoogleEventId: str | None = None
    Office365EventId: str | None = None
    PublicGoogleEventId: str | None = None
    Reminded: bool | None = None
    MrmReminded: bool | None = None
    KisiKeyId: str | None = None
    StartScheduledJobId: str | None = None
    EndScheduledJobId: str | None = None
    Billed: bool | None = None
    FromTimeLocal: LocalTime = None
    ToTimeLocal: LocalTime = None


class Checkin(Record):
    """Somebody came in; `ToTime` says when they left."""

    PATH: ClassVar[str] = "spaces/checkins"

    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    BusinessId: int | None = None
    BusinessName: str | None = None
    Source: int | str | None = None
    FromTime: Time = None
    ToTime: Time = None
    CountsTowardsPlanLimits: bool | None = None
    CoworkerTimePassGuid: str | None = None
    AutoCheckout: bool | None = None
    LastActivity: Time = None
    MacAddresses: str | None = None
    TeamsAtTheTimeOfCheckin: str | None = None
    TariffAtTheTimeOfCheckin: str | None = None
    ValidateCheckinJobId: str | None = None
    FromTimeLocal: LocalTime = None
    ToTimeLocal: LocalTime = None
