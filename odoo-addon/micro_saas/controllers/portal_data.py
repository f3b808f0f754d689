import logging
import re

from odoo.exceptions import UserError
from odoo.http import request, route

from .portal import InstancePortal

_logger = logging.getLogger(__name__)


class InstanceDataPortal(InstancePortal):
    """What customers do with their data. A GET only ever asks: what is done is a POST, with its token."""

    @route("/my/instances/<int:instance_id>/restore", type="http", auth="user", website=True, methods=["GET"])
    def my_instance_restore_question(self, instance_id):
        """Ask which backup is to take the place of the data, saying what is lost."""
        return self._ask("restore", self._instance_for_data(instance_id))

    @route("/my/instances/<int:instance_id>/restore", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_restore(self, instance_id, backup="", is_understood=""):
        """Have it restored, then show its page, with how far it is."""
        # Python refuses numbers of thousands of digits.
        number = int(backup) if re.fullmatch(r"[0-9]{1,18}", str(backup)) else 0
        return self._answered(
            "restore", instance_id, is_understood, lambda instance: instance._restore_by_customer(number)
        )

    @route("/my/instances/<int:instance_id>/undo", type="http", auth="user", website=True, methods=["GET"])
    def my_instance_undo_question(self, instance_id):
        """Ask whether the data from before the restore are to come back, saying what is lost."""
        return self._ask("undo", self._instance_for_data(instance_id))

    @route("/my/instances/<int:instance_id>/undo", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_undo(self, instance_id, is_understood=""):
        """Have the restore undone, then show the page, with how far it is."""
        return self._answered(
            "undo", instance_id, is_understood, lambda instance: instance._undo_restore_by_customer()
        )

    @route("/my/instances/<int:instance_id>/export", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_export(self, instance_id):
        """Have the newest backup written for download, then show the page, with how far it is."""
        instance = self._instance_for_data(instance_id)
        try:
            with request.env.cr.savepoint():
                instance._export_by_customer()
        except UserError as error:
            return self._render(instance, str(error))
        _logger.info("User %s asks for the data of instance %s.", request.env.user.id, instance_id)
        return self._back(instance)

    @route("/my/instances/<int:instance_id>/download", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_download(self, instance_id):
        """Go to the file, which the sidecar serves: by a link that is made now and works once."""
        instance = self._instance_for_data(instance_id)
        try:
            link = instance._download_by_customer()
        except UserError as error:
            return self._render(instance, str(error))
        _logger.info("User %s downloads the data of instance %s.", request.env.user.id, instance_id)
        return self._leave(link)

    def _instance_for_data(self, instance_id):
        """Return an instance whose data the user may have, with sudo; whoever may not learns nothing of it."""
        instance = self._my_instance(instance_id)
        if not (instance and instance._may_use_data(request.env.user)):
            raise request.not_found()
        return instance

    def _answered(self, question, instance_id, is_understood, act):
        instance = self._instance_for_data(instance_id)
        try:
            if not is_understood:
                raise UserError(request.env._("Tick the box first."))
            with request.env.cr.savepoint():
                act(instance)
        except UserError as error:
            return self._ask(question, instance, str(error))
        _logger.info("User %s asks for a %s of instance %s.", request.env.user.id, question, instance_id)
        return self._back(instance)

    def _ask(self, question, instance, problem=""):
        data = instance._portal_data(request.env.user)
        is_possible = data and not data["poll"] and data["can_restore" if question == "restore" else "can_undo"]
        if not (is_possible and (question == "undo" or data["backups"])):
            # Its page says what goes on.
            return self._render(instance, problem)
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "instances",
            "instance": instance,
            "data": data,
            "question": question,
            "problem": problem,
        }
        response = request.render("micro_saas.portal_data_question", values)
        response.headers["Cache-Control"] = "no-store"
        return response
