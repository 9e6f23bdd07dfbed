"""orders

Revision ID: 1f6f0a1b2c3d
"""
from alembic import op
import sqlalchemy as sa

revision = '1f6f0a1b2c3d'
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        'orders',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('number', sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('number'),
    )


def downgrade():
    op.drop_table('orders')
