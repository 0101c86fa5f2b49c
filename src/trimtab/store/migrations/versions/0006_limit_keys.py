"""Limit keys: what the calls of an API key may cost in each day or month, or ever."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("api_key", sa.Column("limit_nanodollars", sa.BigInteger()))
    op.add_column("api_key", sa.Column("limit_window", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    op.drop_column("api_key", "limit_window")
    op.drop_column("api_key", "limit_nanodollars")
