"""The tables, and the two rules that belong to the data itself: IMO numbers and UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates

IMO_LOWEST, IMO_HIGHEST = 1_000_000, 9_999_999


def is_imo_number(number: int) -> bool:
    """True for a ship identification number of the International Maritime Organization.

    Seven digits; the last one is the last digit of the sum of the others, weighted 7 to 2
    (IMO resolution A.1117(30)).
    """
    if not IMO_LOWEST <= number <= IMO_HIGHEST:
        return False
    digits = [int(digit) for digit in str(number)]
    weighted = sum(
        digit * weight for digit, weight in zip(digits[:6], range(7, 1, -1), strict=True)
    )
    return weighted % 10 == digits[6]


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: goes in with any zone, comes out in UTC, also where the database has no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Vessel(Base):
    __tablename__ = "vessels"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    imo: Mapped[int] = mapped_column(unique=True)

    positions: Mapped[list[Position]] = relationship(
        back_populates="vessel", cascade="all, delete-orphan", passive_deletes=True
    )

    @validates("imo")
    def _imo_has_its_check_digit(self, _key: str, imo: int) -> int:
        if not is_imo_number(imo):
            raise ValueError(f"{imo} is not an IMO number: the check digit does not match")
        return imo


class Position(Base):
    __tablename__ = "positions"
    # The unique constraint is also the index that finds a vessel's latest positions.
    __table_args__ = (
        UniqueConstraint("vessel_id", "recorded_at"),
        CheckConstraint("lat BETWEEN -90 AND 90", name="lat_in_range"),
        CheckConstraint("lon BETWEEN -180 AND 180", name="lon_in_range"),
    )

    # A busy fleet outgrows 32 bits; SQLite numbers rows itself only in an INTEGER column.
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    vessel_id: Mapped[int] = mapped_column(ForeignKey("vessels.id", ondelete="CASCADE"))
    lat: Mapped[float] = mapped_column(Double)
    lon: Mapped[float] = mapped_column(Double)
    recorded_at: Mapped[datetime] = mapped_column(UTCDateTime)

    vessel: Mapped[Vessel] = relationship(back_populates="positions")


class User(Base):
    """A dispatcher, who signs in with a password."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))


class SignIn(Base):
    """A dispatcher's open session; without its row a cookie is worth nothing."""

    __tablename__ = "sign_ins"

    token_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship()


class ApiKey(Base):
    """A partner's key; only its digest is kept, so a stolen table opens nothing."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ChatMessage(Base):
    """What a dispatcher said to the others."""

    __tablename__ = "chat_messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[str] = mapped_column(String(80))
    text: Mapped[str] = mapped_column(String(500))
    sent_at: Mapped[datetime] = mapped_column(UTCDateTime)
