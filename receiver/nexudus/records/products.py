"""Products that are sold, and parcels that arrive for customers."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import Record, Time


class CoworkerProduct(Record):
    """A product that a customer bought, once or regularly."""

    PATH: ClassVar[str] = "billing/coworkerproducts"

    CoworkerId: int | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerFullName: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    CoworkerEmail: str | None = None
    BusinessId: int | None = None
    ProductId: int | None = None
    ProductName: str | None = None
    ProductPrice: Decimal | None = None
    ProductApplyProRating: bool | None = None
    ProductCurrencyCode: str | None = None
    Notes: str | None = None
    PurchaseOrder: str | None = None
    OrderNumber: int | str | None = None
    Activated: bool | None = None
    ActivateNow: bool | None = None
    InvoiceThisCoworker: bool | None = None
    Price: Decimal | None = None
    Quantity: int | None = None
    RegularCharge: bool | None = None
    RepeatCycle: int | str | None = None
    RepeatUnit: int | None = None
    InvoiceOn: Time = None
    RepeatFrom: Time = None
    RepeatUntil: Time = None
    SaleDate: Time = None
    DueDate: Time = None
    Invoiced: bool | None = None
    InvoicedOn: Time = None
    FromTariff: bool | None = None
    BookingUniqueId: str | None = None
    MrmReminded: bool | None = None
    ApplyProRating: bool | None = None
    CoworkerContractUniqueId: str | None = None
    ContractDepositUniqueId: str | None = None
    ContractProductUniqueId: str | None = None
    CoworkerDeliveryUniqueId: str | None = None
    ProposalUniqueId: str | None = None
    CoworkerInvoiceId: int | None = None
    CoworkerInvoiceNumber: str | None = None
    CoworkerInvoicePaid: bool | None = None
    TeamsAtTheTimeOfPurchase: str | None = None
    CreditAmount: Decimal | None = None
    DiscountAmount: Decimal | None = None
    TotalPrice: Decimal | None = None
    UnitPrice: Decimal | None = None
    RecurringTotal: Decimal | None = None


class Product(Record):
    """A product."""

    PATH: ClassVar[str] = "billing/products"

    BusinessId: int | None = None
    BusinessName: str | None = None
    Name: str | None = None
    SystemProductType: int | str | None = None
    Description: str | None = None
    InvoiceLineDisplayAs: str | None = None
    Sku: str | None = None
    Tags: str | None = None
    DisplayOrder: int | None = None
    Price: Decimal | None = None
    Visible: bool | None = None
    VisibleInKiosk: bool | None = None
    CurrencyId: int | None = None
    CurrencyCode: str | None = None
    TaxRateId: int | None = None
    AvailableAs: int | str | None = None
    OnlyForContacts: bool | None = None
    OnlyForMembers: bool | None = None
    Tariffs: list[Any] | str | None = None
    Archived: bool | None = None
    Starred: bool | None = None
    TrackStock: bool | None = None
    AllowNegativeStock: bool | None = None
    CurrentStock: int | None = None
    StockAlertLevel: int | None = None
    ApplyProRating: bool | None = None
    ImageFileName: str | None = None
    InvoiceCoworker: bool | None = None
    SyncToNexKiosk: bool | None = None
    CreateDeliveryWhenPurchased: bool | None = None


class CoworkerDelivery(Record):
    """A parcel or letter for a customer."""

    PATH: ClassVar[str] = "spaces/coworkerdeliveries"

    BusinessId: int | None = None
    CoworkerId: int | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerFullName: str | None = None
    CoworkerBillingName: str | None = None
    CoworkerCompanyName: str | None = None
    CoworkerEmail: str | None = None
    CoworkerTeamNames: str | None = None
    ContractContactId: int | None = None
    ContractContactFullName: str | None = None
    ContractContactEmail: str | None = None
    Name: str | None = None
    Location: str | None = None
    ReceivedBy: str | None = None
    Notes: str | None = None
    FileDataFileName: str | None = None
    SignatureFileName: str | None = None
    Processed: bool | None = None
    Collected: bool | None = None
    RequiresSignature: bool | None = None
    Signed: bool | None = None
    Notified: bool | None = None
    CollectedOn: Time = None
    Billed: bool | None = None
    DeliveryType: int | None = None
    HandlingPreference: int | None = None
    CheckDeposited: bool | None = None
    Forwarded: bool | None = None
    Scanned: bool | None = None
    Recycled: bool | None = None
    Shredded: bool | None = None
    StoredForCollection: bool | None = None
    StoredForCollectionOn: Time = None
    StoredForCollectionProductUniqueId: str | None = None
    ReturnedToSender: bool | None = None
    ReturnedToSenderOn: Time = None
