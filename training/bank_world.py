"""The simulated bank's world, as data: its features and their menu, life stages, errands, and what it publishes.

Figures here are chosen to be believable, not fitted to any real bank; docs/demo.md says what follows from that.
"""

from dataclasses import dataclass

CHANNELS = ("web", "mobile", "call")
GROUPS = ("daily", "cards", "credit", "wealth", "insurance", "service")


@dataclass(frozen=True)
class Feature:
    """One function of the bank.

    appeal: how often an average customer uses it, relative to the others.
    channels: how readily it is used in web, mobile and call; 0 where the channel does not offer it.
    public: works before login, so that it may be used under a cookie or a device.
    """

    id: str
    title: str
    group: str
    product: str
    appeal: float
    channels: tuple[float, float, float]
    public: bool = False


FEATURES = (
    Feature("balance", "Account balances", "daily", "account", 17, (0.8, 1.3, 0.6)),
    Feature("transactions", "Transactions", "daily", "account", 13, (1.0, 1.1, 0.4)),
    Feature("pay-bill", "Pay a bill", "daily", "payment", 12, (1.3, 0.9, 0.5)),
    Feature("transfer", "Transfer between own accounts", "daily", "payment", 9, (0.9, 1.1, 0.4)),
    Feature("e-invoice", "E-invoices", "daily", "payment", 6, (1.1, 0.9, 0.2)),
    Feature("standing-order", "Standing orders", "daily", "payment", 1.5, (1.3, 0.6, 0.4)),
    Feature("scan-invoice", "Scan an invoice", "daily", "payment", 5, (0, 1.5, 0)),
    Feature("pay-friend", "Pay to a phone number", "daily", "payment", 8, (0, 1.5, 0)),
    Feature("open-account", "Open an account", "daily", "account", 0.6, (1.2, 0.7, 1.0)),
    Feature("cards", "My cards", "cards", "card", 5, (0.8, 1.2, 0.3)),
    Feature("card-lock", "Lock a card", "cards", "card", 0.6, (0.6, 1.2, 2.0), public=True),
    Feature("order-card", "Order a new card", "cards", "card", 0.6, (1.0, 0.8, 1.8)),
    Feature("pin-code", "Show the PIN code", "cards", "card", 1.5, (0.3, 1.4, 0.8)),
    Feature("limits", "Card and payment limits", "cards", "card", 1.8, (0.8, 1.1, 1.4)),
    Feature("travel-notice", "Tell us about a trip", "cards", "card", 0.8, (0.7, 1.2, 0.8)),
    Feature("loan-calculator", "Loan calculator", "credit", "loan", 1.6, (1.6, 0.6, 0), public=True),
    Feature("apply-loan", "Apply for a loan", "credit", "loan", 0.5, (1.6, 0.5, 1.2)),
    Feature("loans", "My loans", "credit", "loan", 3, (1.1, 0.9, 0.8)),
    Feature("loan-change", "Change a repayment", "credit", "loan", 0.6, (1.1, 0.6, 1.8)),
    Feature("portfolio", "My investments", "wealth", "fund", 5, (1.1, 1.0, 0.2)),
    Feature("buy-fund", "Buy or sell a fund", "wealth", "fund", 1.6, (1.4, 0.8, 0.4)),
    Feature("savings-goal", "Savings goals", "wealth", "saving", 3, (0.6, 1.3, 0.1)),
    Feature("exchange-rates", "Exchange rates", "wealth", "payment", 1.4, (1.2, 0.9, 0), public=True),
    Feature("tax-report", "Tax certificate", "wealth", "fund", 0.5, (1.4, 0.5, 0.4)),
    Feature("insurances", "My insurances", "insurance", "insurance", 1.6, (1.2, 0.8, 1.2)),
    Feature("insurance-claim", "Make an insurance claim", "insurance", "insurance", 0.6, (1.2, 0.9, 1.6)),
    Feature("travel-card", "Travel insurance card", "insurance", "insurance", 0.6, (0.3, 1.4, 0.1)),
    Feature("confirm-identity", "Confirm your identity", "service", "identity", 7, (0.2, 1.5, 0)),
    Feature("messages", "Messages from the bank", "service", "service", 3.5, (1.2, 0.9, 0)),
    Feature("documents", "Documents and statements", "service", "service", 1.6, (1.5, 0.6, 0.6)),
    Feature("sign-agreement", "Sign an agreement", "service", "service", 0.5, (0.9, 1.2, 0)),
    Feature("contact-details", "Contact details", "service", "service", 0.8, (1.1, 0.8, 1.4)),
    Feature("book-meeting", "Book a meeting", "service", "service", 0.8, (1.1, 0.8, 1.8)),
    Feature("adviser-meeting", "Meeting with an adviser", "service", "service", 0.3, (0, 0, 3.0)),
    Feature("chat", "Chat with us", "service", "service", 1.8, (1.2, 1.0, 0), public=True),
)

MENU: tuple[str, ...] = (
    "balance",
    "transactions",
    "pay-bill",
    "transfer",
    "e-invoice",
    "standing-order",
    "scan-invoice",
    "pay-friend",
    "cards",
    "limits",
    "pin-code",
    "card-lock",
    "order-card",
    "travel-notice",
    "loans",
    "loan-calculator",
    "apply-loan",
    "loan-change",
    "portfolio",
    "buy-fund",
    "savings-goal",
    "exchange-rates",
    "tax-report",
    "open-account",
    "insurances",
    "insurance-claim",
    "travel-card",
    "messages",
    "documents",
    "confirm-identity",
    "sign-agreement",
    "contact-details",
    "book-meeting",
    "adviser-meeting",
    "chat",
)
"""The menu that the bank ships today: every feature, by product line, daily matters first, the same for everyone."""

FOLLOWS: dict[str, dict[str, float]] = {
    "balance": {"transactions": 3, "transfer": 2, "pay-bill": 1.5, "pay-friend": 1},
    "transactions": {"cards": 1.5, "pay-bill": 1, "documents": 1, "transfer": 1},
    "pay-bill": {"balance": 2, "transactions": 2, "e-invoice": 1.5},
    "e-invoice": {"pay-bill": 2, "balance": 1.5},
    "scan-invoice": {"pay-bill": 2, "balance": 2},
    "transfer": {"balance": 3, "savings-goal": 1.5, "pay-friend": 1},
    "cards": {"limits": 2, "pin-code": 2, "transactions": 1.5},
    "limits": {"cards": 2, "travel-notice": 1},
    "travel-notice": {"limits": 2, "exchange-rates": 2, "travel-card": 2},
    "loan-calculator": {"apply-loan": 2, "loans": 2, "book-meeting": 1},
    "loans": {"loan-change": 2, "loan-calculator": 2, "balance": 1},
    "portfolio": {"buy-fund": 3, "savings-goal": 1, "tax-report": 1},
    "buy-fund": {"portfolio": 4, "balance": 1},
    "savings-goal": {"transfer": 3, "portfolio": 1.5},
    "insurances": {"insurance-claim": 2, "travel-card": 1.5, "documents": 1},
    "confirm-identity": {"balance": 1},
    "messages": {"documents": 3, "chat": 1.5, "e-invoice": 1},
    "documents": {"messages": 1.5, "sign-agreement": 1},
    "chat": {"book-meeting": 2, "messages": 1},
}
"""What tends to come next within a session, beyond one's own taste."""


@dataclass(frozen=True)
class Stage:
    """A stage of life. devotion: prior weights of web, mobile and call. bills: due dates a month, on average.

    tastes multiply features' appeal; topics are what one then reads about.
    """

    share: float
    devotion: tuple[float, float, float]
    bills: float
    paydays: tuple[int, ...]
    tastes: dict[str, float]
    topics: tuple[str, ...]
    errands: dict[str, float]
    next: str


STAGES = {
    "student": Stage(
        share=0.16,
        devotion=(1.0, 7.0, 0.2),
        bills=0.8,
        paydays=(1, 15),
        tastes={"pay-friend": 2.5, "confirm-identity": 1.8, "savings-goal": 1.3, "loans": 0.4, "e-invoice": 0.4},
        topics=("studying", "everyday", "travel", "digital"),
        errands={"trip": 2, "lost-card": 2, "invest": 1},
        next="starter",
    ),
    "starter": Stage(
        share=0.24,
        devotion=(2.0, 6.0, 0.3),
        bills=1.6,
        paydays=(15, 28),
        tastes={"pay-friend": 1.6, "portfolio": 1.3, "loan-calculator": 1.8, "savings-goal": 1.5},
        topics=("housing", "investing", "travel", "work"),
        errands={"loan": 2, "invest": 2, "trip": 2, "moving": 2},
        next="family",
    ),
    "family": Stage(
        share=0.24,
        devotion=(3.0, 4.5, 0.5),
        bills=2.6,
        paydays=(15, 28),
        tastes={"pay-bill": 1.4, "e-invoice": 1.6, "insurances": 1.8, "insurance-claim": 2, "loans": 1.8},
        topics=("family", "housing", "insurance", "everyday"),
        errands={"loan": 1.5, "claim": 2, "child-account": 3, "moving": 1, "trip": 1},
        next="settled",
    ),
    "settled": Stage(
        share=0.18,
        devotion=(4.0, 3.0, 0.6),
        bills=2.2,
        paydays=(15, 28),
        tastes={"portfolio": 2, "buy-fund": 2, "tax-report": 2, "loans": 1.4, "pay-friend": 0.5},
        topics=("investing", "sustainability", "travel", "retirement"),
        errands={"invest": 2, "claim": 1, "trip": 2, "loan": 0.7},
        next="senior",
    ),
    "senior": Stage(
        share=0.18,
        devotion=(5.0, 1.5, 1.5),
        bills=1.8,
        paydays=(4, 7),
        tastes={"pay-bill": 2, "transactions": 1.3, "documents": 1.6, "pay-friend": 0.2, "scan-invoice": 0.4},
        topics=("retirement", "security", "insurance", "digital"),
        errands={"lost-card": 1, "claim": 1, "invest": 0.7},
        next="senior",
    ),
}

ERRANDS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "loan": (
        ("loan-calculator", "web", 0),
        ("apply-loan", "web", 20),
        ("adviser-meeting", "call", 72),
        ("sign-agreement", "mobile", 30),
        ("loans", "mobile", 48),
    ),
    "lost-card": (
        ("card-lock", "mobile", 0),
        ("order-card", "call", 0.5),
        ("cards", "mobile", 48),
        ("pin-code", "mobile", 100),
    ),
    "moving": (
        ("contact-details", "web", 0),
        ("insurances", "web", 6),
        ("insurances", "call", 30),
        ("sign-agreement", "mobile", 20),
    ),
    "invest": (
        ("savings-goal", "mobile", 0),
        ("book-meeting", "web", 40),
        ("adviser-meeting", "call", 90),
        ("buy-fund", "web", 20),
        ("portfolio", "mobile", 30),
    ),
    "claim": (
        ("insurances", "mobile", 0),
        ("insurance-claim", "web", 1),
        ("documents", "web", 20),
        ("insurance-claim", "call", 60),
        ("messages", "mobile", 48),
    ),
    "trip": (
        ("exchange-rates", "web", 0),
        ("travel-notice", "mobile", 20),
        ("limits", "mobile", 2),
        ("travel-card", "mobile", 48),
    ),
    "child-account": (
        ("open-account", "web", 0),
        ("documents", "web", 10),
        ("adviser-meeting", "call", 70),
        ("sign-agreement", "mobile", 24),
        ("order-card", "mobile", 40),
        ("pin-code", "mobile", 110),
    ),
}
"""Errands: steps of (feature, the channel that it is usually done in, usual hours since the step before)."""

FORMATS = {
    "article": ("what it costs and what it gives", "what has changed", "five common mistakes", "how others do it"),
    "guide": ("step by step", "a guide for beginners", "where to start"),
    "video": ("in two minutes", "our expert explains"),
    "checklist": ("a checklist", "remember at least these"),
    "questions": ("answers to common questions",),
    "offer": ("an offer for our customers",),
}

SUBJECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "housing": (
        "loan",
        ("Buying a first home", "A home loan", "Renovating", "Selling a flat", "A housing company loan"),
    ),
    "investing": (
        "fund",
        ("Index funds", "Monthly investing", "Shares and dividends", "Risk in investing", "ESG funds"),
    ),
    "everyday": (
        "account",
        ("A household budget", "Rising prices", "A buffer account", "Subscriptions", "Heating bills"),
    ),
    "travel": (
        "card",
        ("Paying abroad", "Travel insurance", "Renting a car", "Currency for a trip", "A year abroad"),
    ),
    "family": (
        "account",
        ("A child's first card", "Saving for a child", "Parental leave", "Pocket money", "A family car"),
    ),
    "studying": (
        "account",
        ("A student loan", "A first flat of one's own", "Summer work", "Exchange studies", "Study grants"),
    ),
    "retirement": (
        "saving",
        ("Pension saving", "Retiring early", "A will", "Giving to grandchildren", "A continuing power"),
    ),
    "insurance": (
        "insurance",
        ("Home insurance", "Pet insurance", "Car insurance", "Life insurance", "Accident cover"),
    ),
    "security": (
        "identity",
        ("Phishing messages", "Online shopping", "A lost phone", "Scam calls", "Safe passwords"),
    ),
    "digital": (
        "service",
        ("The mobile app", "E-invoicing", "Mobile payments", "Signing online", "Electronic identity"),
    ),
    "work": (
        "loan",
        ("Starting a business", "Unemployment", "A company car", "Wages and tax", "Light entrepreneurship"),
    ),
    "sustainability": (
        "loan",
        ("Solar panels", "An electric car", "Green loans", "Energy renovation", "Second-hand goods"),
    ),
}
"""Topics: the product that belongs to each, and what is written about."""
