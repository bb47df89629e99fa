"""The nouns of money: invoices, payments, credits. Amounts are whole numbers of the currency's minor unit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.products.price_model import Line, Period
from kronborg.teams.model import Customer

InvoiceState = Literal["draft", "issued", "paid", "overdue", "void"]
Adapter = Literal["manual", "stripe"]
EntryKind = Literal["purchase", "grant", "usage", "expiry", "refund", "revenue_share"]


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line and which subscription it is for, with the names as they were then."""

    subscription: str
    product: str
    plan: str
    app: str
    line: Line
    tax_name: str = ""
    tax_rate: str = "0"


@dataclass(frozen=True, slots=True)
class Tax:
    """Tax of one rate on the sum of the lines that have it, rounded once."""

    name: str
    rate: str
    net: int
    amount: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a team owes. A draft is made anew until it is issued; what is issued never changes but for its state.

    `number` is given when it is issued, without gaps within its series. `key` names what it is for (team, currency,
    period): two workers that close a month make one.
    """

    id: str
    key: str
    team_id: str
    number: str
    state: InvoiceState
    currency: str
    period: Period
    lines: tuple[InvoiceLine, ...]
    taxes: tuple[Tax, ...]
    net: int
    total: int
    paid: int
    customer: Customer
    seller: Customer
    created_at: datetime
    issued_at: datetime | None = None
    due_at: datetime | None = None
    settled_at: datetime | None = None
    corrects: str | None = None
    """The invoice that this one takes back (a credit note); its lines are below zero."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that came (or went back, below zero). `reference` is the payer's or the provider's; it counts once."""

    id: str
    invoice_id: str | None
    team_id: str
    adapter: Adapter
    reference: str
    amount: int
    currency: str
    at: datetime
    noted_by: str


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of a team's ledger of credits; `amount` below zero draws. What is written is never changed."""

    id: str
    team_id: str
    currency: str
    kind: EntryKind
    amount: int
    at: datetime
    credit_id: str | None = None
    """The credit that was drawn on, or lapsed."""
    priority: int = 0
    expires_at: datetime | None = None
    subscription: str | None = None
    note: str = ""
