"""Contracts, proposals and price plans."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import LocalTime, Record, Time


class CoworkerContract(Record):
    """A contract of a customer; its location is `IssuedById`."""

    PATH: ClassVar[str] = "billing/coworkercontracts"

    IssuedById: int | None = None
    IssuedByName: str | None = None
    CoworkerId: int | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerFullName: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    CoworkerEmail: str | None = None
    CoworkerActive: bool | None = None
    TariffId: int | None = None
    TariffName: str | None = None
    TariffInvoiceEvery: int | None = None
    TariffInvoiceEveryWeeks: int | None = None
    TariffPrice: Decimal | None = None
    TariffCurrencyCode: str | None = None
    NextTariffId: int | None = None
    NextTariffName: str | None = None
    Notes: str | None = None
    StartDate: Time = None
    BillingDay: int | None = None
    RenewalDate: Time = None
    InvoicedPeriod: Time = None
    ContractTerm: Time = None
    Price: Decimal | None = None
    Value: Decimal | None = None
    Desks: list[Any] | str | None = None
    Variants: list[Any] | str | None = None
    Quantity: int | None = None
    Active: bool | None = None
    MainContract: bool | None = None
    Cancelled: bool | None = None
    PurchaseOrder: str | None = None
    IncludeSignupFee: bool | None = None
    InvoiceAdvancedCycles: int | None = None
    ApplyProRating: bool | None = None
    NextAutoInvoice: Time = None
    PricePlanTermsAccepted: bool | None = None
    PricePlanTermsAcceptedOn: Time = None
    CancellationDate: Time = None
    CancellationLimitDays: int | None = None
    ProRateCancellation: bool | None = None
    CancelTeamContracts: bool | None = None
    CancellationReason: int | str | None = None
    CancellationNotes: str | None = None
    DeliveryHandlingPreference: int | None = None
    DeliveryInstructions: str | None = None
    IdentityChecksDueOn: Time = None
    AddressChecksDueOn: Time = None
    StartDateLocal: LocalTime = None
    RenewalDateLocal: LocalTime = None
    ProposalUniqueId: str | None = None
    FloorPlanDeskIds: list[Any] | str | None = None
    FloorPlanDeskNames: str | None = None
    FloorPlanDeskVariantIds: list[Any] | str | None = None
    FloorPlanDeskVariantNames: str | None = None
    PriceWithProductsAndDeposits: Decimal | None = None
    PriceWithProducts: Decimal | None = None
    PoBoxNumber: str | None = None
    InPausedPeriod: bool | None = None
    NextAutoInvoiceLocal: LocalTime = None
    CancellationDateLocal: LocalTime = None
    ProposalContractUniqueId: str | None = None
    CourseMemberUniqueId: str | None = None
    InPausedPeriodFrom: Time = None
    InPausedPeriodUntil: Time = None


class Proposal(Record):
    """A proposal of a contract; its location is `IssuedById`."""

    PATH: ClassVar[str] = "billing/proposals"

    IssuedById: int | None = None
    IssuedByName: str | None = None
    IssuedByCurrencyCode: str | None = None
    ResponsibleId: int | None = None
    ResponsibleFullName: str | None = None
    CoworkerId: int | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerFullName: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    Reference: str | None = None
    Notes: str | None = None
    ProposalStatus: int | str | None = None
    DocumentToSendFileName: str | None = None
    DocumentToSignFileName: str | None = None
    ProposalFileFileName: str | None = None
    TariffId: int | None = None
    TariffName: str | None = None
    TariffInvoiceEvery: int | None = None
    TariffPrice: Decimal | None = None
    Desks: list[Any] | str | None = None
    Variants: list[Any] | str | None = None
    Price: Decimal | None = None
    StartDate: Time = None
    CancellationLimitDays: int | None = None
    ContractTerm: Time = None
    CancellationDate: Time = None
    ExpirationDate: Time = None
    BillingDay: int | None = None
    Quantity: int | None = None
    DiscountCodeId: int | None = None
    SentOn: Time = None
    CustomerLastOpenedDate: Time = None
    DoNotIssueInvoice: bool | None = None


class Tariff(Record):
    """A price plan. It has about 120 fields; those that are not named here are kept as they come."""

    PATH: ClassVar[str] = "billing/tariffs"

    BusinessId: int | None = None
    BusinessName: str | None = None
    Name: str | None = None
    SystemTariffType: int | str | None = None
    Price: Decimal | None = None
    DefaultInvoicingDay: int | None = None
    Visible: bool | None = None
    Description: str | None = None
    InvoiceLineDisplayAs: str | None = None
    SignUpFee: Decimal | None = None
    CurrencyId: int | None = None
    CurrencyCode: str | None = None
    TaxRateId: int | None = None
    FinancialAccountId: int | None = None
    TermsAndConditions: str | None = None
    CancellationPeriod: int | None = None
    CancelMemeberAccountAfter: Any = None
    DisplayOrder: int | None = None
    GroupName: str | None = None
    InvoiceEvery: int | None = None
    InvoiceEveryWeeks: int | None = None
    Archived: bool | None = None
    Starred: bool | None = None
    TotalSignUpPrice: Decimal | None = None
    TotalPrice: Decimal | None = None
    IsVirtualOffice: bool | None = None
