"""paid

Revision ID: 9a8b7c6d5e4f
"""
from alembic import op
import sqlalchemy as sa

revision: str = '9a8b7c6d5e4f'
down_revision: str = '1f6f0a1b2c3d'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('orders', sa.Column('paid', sa.Boolean(), server_default='false', nullable=False))


def downgrade():
    op.drop_column('orders', 'paid')
