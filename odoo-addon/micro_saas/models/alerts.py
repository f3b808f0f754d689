"""Telling people that something is wrong: one activity for one trouble, closed by itself when the trouble is over."""

import logging

_logger = logging.getLogger(__name__)

OPERATOR = "microsaas.operator_id"


def operator(env):
    """Return the user whom the settings name for technical trouble; empty if they name none who can still log in."""
    number = env["ir.config_parameter"].sudo().get_param(OPERATOR) or "0"
    user = env["res.users"].sudo().browse(int(number) if number.isdecimal() else 0).exists()
    return user.filtered(_can_be_told)


def person_for(env, seller=None, is_technical=False):
    """Return the user to tell: the operator of the settings for technical trouble, else who sold it, else the administrator.

    :param seller: `res.users`, maybe empty, or a user that is no person, such as the sidecar's own
    """
    seller = (seller or env["res.users"]).sudo().filtered(_can_be_told)
    named = operator(env)
    first = named or seller if is_technical else seller or named
    return first or env.ref("base.user_admin")


def raise_activity(record, activity_type, person, summary, note=""):
    """Give `person` one activity on `record`; none if one of that type and summary is open.

    Somebody who may not see the record cannot be given it: then it is the administrator's.

    :param record: one record of a `mail.activity.mixin`, with sudo
    :return: whether somebody has it now
    """
    if _open_activities(record, activity_type, summary):
        return True
    for user in person | record.env.ref("base.user_admin"):
        try:
            with record.env.cr.savepoint():
                record.activity_schedule(activity_type, summary=summary, note=note, user_id=user.id)
            return True
        except Exception as error:  # noqa: BLE001 - telling of a trouble must not become another one
            _logger.warning("%s could not be given an activity on %s: %s", user.login, record, error)
    return False


def close_activities(records, activity_type, feedback, summary=None):
    """Mark the open activities of a type as done, with a note saying why.

    :param summary: only those that say this
    """
    activities = _open_activities(records, activity_type, summary)
    if activities:
        activities.sudo().action_feedback(feedback=feedback)


def _open_activities(records, activity_type, summary):
    """Return the activities of a type that nobody has marked as done; None: whatever their summary."""
    kind = records.env.ref(activity_type)
    # Who also sees archived records sees the activities that are done.
    return records.activity_ids.filtered(
        lambda one: one.active and one.activity_type_id == kind and summary in (None, one.summary)
    )


def _can_be_told(user):
    # The sidecar's user is internal too, but nobody reads what it is told.
    return user.active and not user.share and not user.has_group("micro_saas.group_microsaas_sidecar")
