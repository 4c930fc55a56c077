"""Three public sets of card payments, as far as their documents tell: what generated payments are set beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublicSet:
    """A public data set: where its figures are from, and those that are known, by the names of `realism.SPECS`.

    A figure that is not here is not documented for this set: unknown, not zero.
    """

    name: str
    short: str
    title: str
    payments: int
    frauds: int
    source: str
    figures: Mapping[str, float]

    def figure(self, name: str) -> float | None:
        """One of its figures; None where it is not known."""
        return self.figures.get(name)


PUBLIC_SETS = (
    PublicSet(
        "ulb",
        "ULB",
        "ULB credit cards, 2013",
        284_807,
        492,
        "Two days of European cards. A. Dal Pozzolo, O. Caelen, R. A. Johnson, G. Bontempi: Calibrating Probability "
        "with Undersampling for Unbalanced Classification, IEEE CIDM 2015; "
        "kaggle.com/datasets/mlg-ulb/creditcardfraud. Amounts (mean 88.35, median 22.00) are in a currency that it "
        "does not name.",
        {"fraud_share": 492 / 284_807, "median_amount": 22.0, "mean_to_median": 88.349619 / 22.0},
    ),
    PublicSet(
        "ieee_cis",
        "IEEE-CIS",
        "IEEE-CIS / Vesta, 2019",
        590_540,
        20_663,
        "Online payments of Vesta's customers, the train part; kaggle.com/c/ieee-fraud-detection, whose description "
        "says that all are e-commerce and that amounts are in US dollars (mean 135.03, median 68.77).",
        {
            "fraud_share": 20_663 / 590_540,
            "median_amount": 68.769,
            "mean_to_median": 135.027176 / 68.769,
            "online_share": 1.0,
            "currencies": 1,
        },
    ),
    PublicSet(
        "sparkov",
        "Sparkov",
        "Sparkov, simulated",
        1_296_675,
        7_506,
        "Simulated cards of the USA, the train part; K. Shenoy: Credit Card Transactions Fraud Detection Dataset, "
        "kaggle.com/datasets/kartik2112/fraud-detection, made with B. Harris: Sparkov Data Generation, "
        "github.com/namebrandon/Sparkov_Data_Generation. Amounts are in US dollars (mean 70.35, median 47.52).",
        {"fraud_share": 7_506 / 1_296_675, "median_amount": 47.52, "mean_to_median": 70.351 / 47.52},
    ),
)
