"""Say who was displaced: the audit line of a controller names the version it took the place of, or lost it to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("controller_event", sa.Column("other", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    op.drop_column("controller_event", "other")
