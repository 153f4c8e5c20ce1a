"""Customers, teams, visitors and subscribers: personal data throughout."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import Record, Time


class Coworker(Record):
    """A customer, who may belong to several locations. It can hold a PIN, a card and a bank account: do not log it."""

    PATH: ClassVar[str] = "spaces/coworkers"

    CoworkerType: int | str | None = None
    Businesses: list[Any] | str | None = None
    Teams: list[Any] | str | None = None
    FullName: str | None = None
    Salutation: str | None = None
    Gender: int | str | None = None
    Email: str | None = None
    CreateUser: bool | None = None
    Address: str | None = None
    PostCode: str | None = None
    CityName: str | None = None
    State: str | None = None
    CountryId: int | None = None
    SimpleTimeZoneId: int | None = None
    MobilePhone: str | None = None
    LandLine: str | None = None
    DateOfBirth: Time = None
    NickName: str | None = None
    BusinessArea: str | None = None
    Position: str | None = None
    CompanyName: str | None = None
    ProfileTags: str | None = None
    InvoicingBusinessId: int | None = None
    InvoicingBusinessName: str | None = None
    BillingEmail: str | None = None
    BillingName: str | None = None
    BillingAddress: str | None = None
    BillingPostCode: str | None = None
    BillingCityName: str | None = None
    BillingState: str | None = None
    BillingCountryId: int | None = None
    TaxRateType: int | None = None
    TaxIDNumber: str | None = None
    NotifyOnNewInvoice: bool | None = None
    NotifyOnNewPayment: bool | None = None
    RegularPaymentProvider: int | str | None = None
    CardNumber: str | None = None
    AccessCardId: str | None = None
    AccessPincode: str | None = None
    KeyFobNumber: str | None = None
    CanMakeBookings: bool | None = None
    CanPurchaseProducts: bool | None = None
    CanPurchaseEvents: bool | None = None
    CanAccessCommunity: bool | None = None
    ReferenceNumber: str | None = None
    Tag: str | None = None
    Notes: str | None = None
    ShowAlert: bool | None = None
    AlertNote: str | None = None
    UserId: int | None = None
    UserFullName: str | None = None
    UserIsAdmin: bool | None = None
    UserLastAccess: Time = None
    UserActive: bool | None = None
    Active: bool | None = None
    NextAutoInvoice: Time = None
    RegistrationDate: Time = None
    GeneralTermsAccepted: bool | None = None
    Custom1: Any = None
    Custom2: Any = None
    TariffId: int | None = None
    TariffName: str | None = None
    NextTariffId: int | None = None
    NextTariffName: str | None = None
    TeamId: int | None = None
    TeamName: str | None = None
    TeamIds: list[Any] | str | None = None
    CoworkerContractIds: list[Any] | str | None = None
    BillingDay: int | None = None
    RenewalDate: Time = None
    StartDate: Time = None
    CancellationDate: Time = None
    HasDueInvoices: bool | None = None
    GuessedFirstName: str | None = None
    GuessedLastName: str | None = None
    RegularPaymentContractNumber: str | None = None
    BankName: str | None = None
    BankAccount: str | None = None
    BankBranch: str | None = None
    Custom3: Any = None
    Custom4: Any = None
    Custom5: Any = None
    Custom6: Any = None
    Custom7: Any = None
    Custom8: Any = None
    Custom9: Any = None
    Custom10: Any = None
    Custom11: Any = None
    Custom12: Any = None
    Custom13: Any = None
    Custom14: Any = None
    Custom15: Any = None
    Custom16: Any = None
    Custom17: Any = None
    Custom18: Any = None
    Custom19: Any = None
    Custom20: Any = None
    Custom21: Any = None
    Custom22: Any = None
    Custom23: Any = None
    Custom24: Any = None
    Custom25: Any = None
    Custom26: Any = None
    Custom27: Any = None
    Custom28: Any = None
    Custom29: Any = None
    Custom30: Any = None


class Team(Record):
    """A team of customers."""

    PATH: ClassVar[str] = "spaces/teams"

    BusinessId: int | None = None
    BusinessName: str | None = None
    Name: str | None = None
    Description: str | None = None
    TunnelPrivateGroupId: int | str | None = None
    TeamMembers: list[Any] | str | None = None
    TeamAdministrators: list[Any] | str | None = None
    CreateSingleInvoiceForTeam: bool | None = None
    UseSpecialPrices: bool | None = None
    PayingMemberId: int | None = None
    PayingMemberFullName: str | None = None
    DefaultMemberTariffId: int | None = None
    DefaultMemberTariffName: str | None = None
    MaxTeamMemberCount: int | float | None = None
    TransferCreditsToPayingMember: bool | None = None
    ShareBookingCredit: bool | None = None
    ShareExtraServices: bool | None = None
    DiscountExtraServices: Decimal | None = None
    DiscountTimePasses: Decimal | None = None
    DiscountTariff: Decimal | None = None
    ProfileWebsite: str | None = None
    HasCommunityGroup: bool | None = None
    CoworkerIds: list[Any] | str | None = None
    CoworkerFullNames: str | None = None
    CoworkerBillingNames: str | None = None
    ActiveContracts: int | None = None
    AvgChurnProbability: Decimal | None = None
    EngagementLevel: int | str | None = None
    DisableAttendanceDashboard: bool | None = None
    ExtraServices: list[Any] | str | None = None


class Visitor(Record):
    """A visitor of a customer."""

    PATH: ClassVar[str] = "spaces/visitors"

    BusinessId: int | None = None
    FullName: str | None = None
    Email: str | None = None
    CoworkerId: int | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerFullName: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    CoworkerEmail: str | None = None
    CoworkerTeamNames: str | None = None
    VisitorSource: int | str | None = None
    HostApprovalStatus: int | str | None = None
    VisitorCode: str | None = None
    CheckedInAt: str | None = None
    Notes: str | None = None
    CustomerNotes: str | None = None
    VisitReason: str | None = None
    CompanyName: str | None = None
    PhoneNumber: str | None = None
    ExpectedArrival: Time = None
    Arrived: bool | None = None
    ArrivalDate: Time = None
    DepartureDate: Time = None
    Notified: bool | None = None
    Internal: bool | None = None
    IsTour: bool | None = None
    HasAgreedTerms: bool | None = None
    TourConfirmed: bool | None = None
    AccessControlScheduledJobId: str | None = None
    CheckInNow: bool | None = None
