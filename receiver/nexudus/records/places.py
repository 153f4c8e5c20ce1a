"""Locations, their floors and desks."""

from decimal import Decimal
from typing import Any, ClassVar

from receiver.nexudus.records.record import LocalTime, Record, Time


class Business(Record):
    """A location."""

    PATH: ClassVar[str] = "sys/businesses"

    Name: str | None = None
    DefaultLanguage: str | None = None
    SpaceWebsiteLanguageId: int | None = None
    SpaceWebsiteLanguageCulture: str | None = None
    RootLocationId: int | None = None
    WebAddress: str | None = None
    DefaultPaymentGatewayId: int | None = None
    Address: str | None = None
    Phone: str | None = None
    EmailContact: str | None = None
    CountryId: int | None = None
    CountryName: str | None = None
    CurrencyId: int | None = None
    CurrencyCode: str | None = None
    SimpleTimeZoneId: int | None = None
    Suspended: bool | None = None
    Last4Digits: str | None = None


class FloorPlan(Record):
    """A floor. Its fields are not documented: these are a guess, and all of them are kept."""

    PATH: ClassVar[str] = "sys/floorplans"

    BusinessId: int | None = None
    BusinessName: str | None = None
    Name: str | None = None
    Capacity: int | float | None = None
    Area: float | None = None
    FloorLevel: int | str | None = None
    Published: bool | None = None
    Width: float | None = None
    Height: float | None = None


class FloorPlanDesk(Record):
    """A desk, office or sensor on a floor; its location is `FloorPlanBusinessId`."""

    PATH: ClassVar[str] = "sys/floorplandesks"

    FloorPlanId: int | None = None
    FloorPlanName: str | None = None
    FloorPlanBusinessId: int | None = None
    FloorPlanBusinessCurrencyCode: str | None = None
    FloorPlanBusinessName: str | None = None
    FloorPlanCapacity: int | float | None = None
    CoworkerId: int | None = None
    CoworkerFullName: str | None = None
    CoworkerCompanyName: str | None = None
    CoworkerCoworkerType: int | str | None = None
    CoworkerEmail: str | None = None
    CoworkerTeamNames: str | None = None
    SensorId: int | None = None
    SensorName: str | None = None
    SensorUnit: str | None = None
    SensorLastReceivedValue: Any = None
    Name: str | None = None
    ItemType: int | str | None = None
    ResourceId: int | None = None
    ResourceName: str | None = None
    ResourceResourceTypeName: str | None = None
    ResourceAllocation: str | None = None
    Size: Decimal | None = None
    SizeIsLinkedToArea: bool | None = None
    Capacity: int | float | None = None
    Price: Decimal | None = None
    Area: Any = None
    SensorLastValue: Any = None
    IsSensorOccupied: bool | None = None
    Notes: str | None = None
    Available: bool | None = None
    PositionX: float | None = None
    PositionY: float | None = None
    PositionZ: float | None = None
    AccessControlGroupId: int | str | None = None
    TunnelPrivateGroupId: int | str | None = None
    CoworkerContractIds: list[Any] | str | None = None
    CoworkerContractFullNames: str | None = None
    CoworkerContractStartDates: str | None = None
    AvailableFromTime: Time = None
    AvailableToTime: Time = None
    AvailableFromTimeLocal: LocalTime = None
    AvailableToTimeLocal: LocalTime = None
    SensorType: str | None = None
