/* Sends the form that a page was made for (OAuth 2.0 Form Post Response Mode). Without scripts, its button does. */
document.getElementById("submit-at-once").submit();
