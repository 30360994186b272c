Feature: What goes wrong is said clearly

  Scenario: The host is unreachable
    Given a service
    And an origin that is down
    When I ask for fill 300x200
    Then I get the problem 502 origin_failed

  Scenario: The origin does not have the picture
    Given a service
    And an origin that answers 404
    When I ask for fill 300x200
    Then I get the problem 404 origin_refused

  Scenario: The origin fails
    Given a service
    And an origin that answers 500
    When I ask for fill 300x200
    Then I get the problem 502 origin_failed

  Scenario: The source is not an image
    Given a service
    And an origin with a web page
    When I ask for fill 300x200
    Then I get the problem 415 not_an_image

  Scenario: The origin does not answer in time
    Given a service that gives up after 1 second
    And an origin that never answers
    When I ask for fill 300x200
    Then I get the problem 504 origin_timeout

  Scenario: What failed is not kept
    Given a service
    And an origin that answers 500
    When I ask for fill 300x200
    Then I get the problem 502 origin_failed
    Given an origin with a picture of 640x480
    When I ask for fill 300x200
    Then I get a picture of 300x200
