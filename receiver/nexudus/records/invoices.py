"""Invoices, payments and how they are made."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import LocalTime, Record, Time


class CoworkerInvoice(Record):
    """An invoice or credit note. `UpdatedOn` does not move when it is paid."""

    PATH: ClassVar[str] = "billing/coworkerinvoices"

    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    CoworkerRegularPaymentProvider: int | str | None = None
    CoworkerCardNumber: str | None = None
    CoworkerBillingEmail: str | None = None
    CoworkerNotifyOnNewInvoice: bool | None = None
    CoworkerCompanyName: str | None = None
    CoworkerTeamNames: str | None = None
    BusinessId: int | None = None
    BusinessName: str | None = None
    InvoiceNumber: str | None = None
    PaymentReference: str | None = None
    BillToName: str | None = None
    BillToAddress: str | None = None
    BillToCity: str | None = None
    BillToPostCode: str | None = None
    BillToPhone: str | None = None
    BillToFax: str | None = None
    BillToState: str | None = None
    BillToCountryId: int | None = None
    BillToCountryName: str | None = None
    BillToCountryTwoDigitsCode: str | None = None
    BillToBankAccount: str | None = None
    BillToTaxIDNumber: str | None = None
    PurchaseOrder: str | None = None
    Description: str | None = None
    DiscountAmount: Decimal | None = None
    DueDate: Time = None
    InvoiceFromDate: Time = None
    InvoiceToDate: Time = None
    TotalAmount: Decimal | None = None
    PaidAmount: Decimal | None = None
    TransactionTotalAmount: Decimal | None = None
    TransactionCurrencyId: int | None = None
    TransactionCurrencyCode: str | None = None
    TransactionExchangeRate: Decimal | None = None
    CurrencyId: int | None = None
    CurrencyCode: str | None = None
    TaxAmount: Decimal | None = None
    Draft: bool | None = None
    Void: bool | None = None
    WaitingForInvoiceNumber: bool | None = None
    Paid: bool | None = None
    Sent: bool | None = None
    SentOn: Time = None
    PaidOn: Time = None
    Refunded: bool | None = None
    RefundedOn: Time = None
    XeroInvoiceTransfered: bool | None = None
    XeroPaymentTransfered: bool | None = None
    QuickbooksInvoiceTransfered: bool | None = None
    QuickbooksPaymentTransfered: bool | None = None
    CreditNote: bool | None = None
    OriginalInvoiceGuid: str | None = None
    ContractGuid: str | None = None
    CustomData: Any = None
    GoCardlessReference: str | None = None
    SpreedlyToken: str | None = None
    LastPaymentAttempt: Time = None
    Billed: bool | None = None
    DueDateLocal: LocalTime = None
    ReceivedAmount: Decimal | None = None
    CreditedAmount: Decimal | None = None
    RefundedAmount: Decimal | None = None
    NexKioskTransactionId: str | None = None
    DueAmount: Decimal | None = None
    IsDue: bool | None = None
    CoworkerRegularPaymentContractNumber: str | None = None
    CoworkerGoCardlessContractNumber: str | None = None
    CoworkerNotifyOnNewPayment: bool | None = None
    InvoiceLines: list[Any] | None = None
    InvoiceFromDateLocal: LocalTime = None
    InvoiceToDateLocal: LocalTime = None


class CoworkerLedgerEntry(Record):
    """A debit or credit of a customer's account."""

    PATH: ClassVar[str] = "billing/coworkerledgerentries"

    BusinessId: int | None = None
    BusinessName: str | None = None
    BusinessCurrencyCode: str | None = None
    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    CoworkerInvoiceId: int | None = None
    CoworkerInvoiceInvoiceNumber: str | None = None
    CoworkerInvoiceTotalAmount: str | None = None
    CoworkerInvoiceBillToName: str | None = None
    CoworkerInvoicePaid: bool | None = None
    CoworkerInvoicePaidOn: Time = None
    CoworkerInvoiceRefunded: bool | None = None
    CoworkerInvoiceRefundedOn: Time = None
    CoworkerInvoiceDueDate: Time = None
    CoworkerInvoiceDraft: bool | None = None
    CoworkerInvoiceWaitingForInvoiceNumber: bool | None = None
    Description: str | None = None
    Code: str | None = None
    Debit: Decimal | None = None
    Credit: Decimal | None = None
    PaymentGatewayName: int | str | None = None
    PaymentMethodNumber: str | None = None
    TransactionDate: Time = None
    Balance: Decimal | None = None
    Billed: bool | None = None
    TransactionDateLocal: LocalTime = None
    ConnectedTransactionGuid: str | None = None


class CoworkerPaymentMethod(Record):
    """How a customer pays; the card number is masked."""

    PATH: ClassVar[str] = "billing/coworkerpaymentmethods"

    CoworkerId: int | None = None
    BusinessId: int | None = None
    BusinessName: str | None = None
    BusinessCurrencyCode: str | None = None
    RegularPaymentProvider: int | str | None = None
    MethodId: str | None = None
    CustomerId: str | None = None
    MandateId: str | None = None
    CardNumber: str | None = None
    Notes: str | None = None
