Feature: Previews of pictures on other people's servers

  Background:
    Given a service

  Scenario Outline: A preview has exactly the size asked
    Given an origin with a picture of 640x480
    When I ask for fill <size>
    Then I get a picture of <size>

    Examples:
      | size     |
      | 300x200  |
      | 64x64    |
      | 1x1      |
      | 33x257   |
      | 511x77   |
      | 640x480  |
      | 1000x900 |

  Scenario: A second request comes from the cache
    Given an origin with a picture of 640x480
    When I ask for fill 300x200
    Then the preview comes from the previewer
    When I ask for fill 300x200
    Then the preview comes from the cache
    And the answer is the same as before
    And the origin was asked once

  Scenario: A picture smaller than asked is enlarged to fill the box
    Given an origin with a picture of 40x30
    When I ask for fill 300x200
    Then I get a picture of 300x200

  Scenario: A picture smaller than asked is not enlarged to fit the box
    Given an origin with a picture of 40x30
    When I ask for fit 300x200
    Then I get a picture of 40x30

  Scenario: A picture larger than asked fits the box whole
    Given an origin with a picture of 640x480
    When I ask for fit 300x300
    Then I get a picture of 300x225

  Scenario: The client's headers arrive at the origin
    Given an origin with a picture of 640x480
    When I ask for fill 300x200 with the header "X-Shop: owls"
    Then the origin received the header "X-Shop: owls"
